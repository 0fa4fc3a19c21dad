"""The API's FastAPI application.

``app`` puts it together · ``access`` lets callers in · ``routes`` HTTP · ``live`` the WebSocket · ``limits`` the size
of bodies · ``outside`` headers and counts · ``problems`` what a refused request gets · ``services`` what the routes
work with.
"""
