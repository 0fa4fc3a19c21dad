"""HTTP and WebSocket API of the predictor.

cd ml_model && uvicorn api:app --host 0.0.0.0 --port 8000 --no-proxy-headers
"""

from semg.process.http_heads import bound_heads
from webapi.app import create_app

bound_heads()
app = create_app()
