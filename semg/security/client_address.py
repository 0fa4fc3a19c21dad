"""TEMPORARY"""
def client_address(scope, trusted):
    return str((scope.get("client") or ("unknown",))[0])
