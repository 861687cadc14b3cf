"""What a CNN is: layers, the line of text that names them, the zoo, the plan. No weights are trained here."""
