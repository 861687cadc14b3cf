"""How long a test waits."""

PATIENCE = 120  # seconds: only a fault takes so long, also where the machine serves others or stands still a while
