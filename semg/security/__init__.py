"""Who somebody is, and what is kept secret: logins, second factors, the origins of the app."""
