"""Pictures. Nothing here is imported before a picture is asked for."""
