"""HTTP and WebSocket API of the predictor.

cd ml_model && uvicorn api:app --host 0.0.0.0 --port 8000 --no-proxy-headers
"""

from semg.process.connection_bounds import bound_heads, bound_messages
from webapi.app import create_app

bound_heads()
bound_messages(4096)  # viewers have nothing to say
app = create_app()
