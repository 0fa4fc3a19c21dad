"""HTTP and WebSocket API of the predictor.

cd ml_model && uvicorn api:app --host 0.0.0.0 --port 8000 --no-proxy-headers
"""

from webapi.app import create_app

app = create_app()
