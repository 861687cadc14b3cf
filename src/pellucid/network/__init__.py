"""The description of a CNN: layers, the line of text that names them, the zoo, the plan. Nothing is trained here."""
