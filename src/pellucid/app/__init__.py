"""The user interface: the command line and the served page. Calls only the verbs in pellucid.api."""
