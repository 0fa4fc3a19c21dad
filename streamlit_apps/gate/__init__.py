"""What stands before Streamlit: nobody reaches the app without a login, from another origin, or at another host.

``app`` the ASGI middleware · ``documents`` what browsers load first, with its Content-Security-Policy · ``sockets`` the
page's WebSocket and which login is in it · ``page_messages`` what a page may send there · ``page_runs`` how much its
account may have done at a time · ``uploads`` files that a page sends · ``forms`` the login pages ·
``entering`` what each way of logging in ends with · ``steps`` logins that are under way · ``turns`` how much of
that there may be · ``factors`` the page of second factors · ``provider`` OpenID Connect ·
``requests`` what is read of a request.
"""
