"""How it runs fast: device, precision, threads, memory."""
