"""The empty FastAPI endpoint: a validated JSON body in, a small JSON object out."""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class EchoRequest(BaseModel):
    """The same body as a single score."""

    candidate_id: str


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """Answer at once."""
    return {"ready": True}


@app.post("/echo")
async def echo(request: EchoRequest) -> EchoRequest:
    """Give back what came."""
    return request
