"""What a person touches: the command line. Calls only the verbs in pellucid.api."""
