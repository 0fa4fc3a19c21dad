"""The requests of an attacker against a running system, and whether each was refused; ``testing/attack.py`` runs them.

``findings`` what a check found · ``means`` limits, logins, what a system's owner sees · ``target`` the system ·
``canary`` a server that nobody may ask · ``app_page`` a page of the app without a browser · ``chromium`` a browser ·
``own_system`` a system to be attacked · ``runner`` all groups in order. Each further module is a group of checks.
"""
