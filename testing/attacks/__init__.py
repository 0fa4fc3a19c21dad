"""The requests of an attacker against a running system, and whether each was refused; ``testing/attack.py`` runs them.

``findings`` what a check found · ``target`` the system, from outside and, when it is our own, from inside ·
``canary`` a server that nobody may ask · ``app_page`` a page of the app without a browser · ``chromium`` a browser ·
``own_system`` a system to be attacked · ``runner`` all groups in order. Each further module is a group of checks.
"""
