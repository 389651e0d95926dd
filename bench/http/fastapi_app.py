"""The contestant that most teams would write: FastAPI, asyncpg and uvicorn, serving the same two functions.

Same SQL, same durability, same shape of answers. Where there was a choice it got the faster one: uvloop and httptools,
orjson past FastAPI's own encoder, verified tokens kept in a dictionary, pooled connections that are not reset between
requests, ids as plain UUIDs, and cursors that are not signed.
"""

import contextlib
import os
import pathlib
import time
import uuid
from typing import Annotated, Literal

import asyncpg
import jwt
import orjson
from fastapi import Depends, FastAPI, Header, HTTPException, Response
from pydantic import BaseModel, Field

DATABASE_URL = os.environ["BENCH_DATABASE_URL"]
LIST_SQL = os.environ["BENCH_LIST_SQL"]
SEND_SQL = os.environ["BENCH_SEND_SQL"]
KEY = jwt.PyJWKSet.from_json(pathlib.Path(os.environ["BENCH_KEY_SET"]).read_text()).keys[0]
# Both processes together.
CONNECTIONS = int(os.environ["BENCH_CONNECTIONS"]) // 2
HIGHEST = uuid.UUID(int=2**128 - 1)
LOWEST = uuid.UUID(int=0)


class PaginationOptions(BaseModel):
    numItems: int = Field(ge=1)
    cursor: uuid.UUID | None


class ListArguments(BaseModel):
    conversationId: uuid.UUID
    paginationOpts: PaginationOptions


class ListCall(BaseModel):
    path: Literal["messages:list"]
    args: ListArguments


class SendArguments(BaseModel):
    content: str = Field(min_length=1, max_length=16384)
    recipientId: uuid.UUID
    clientMessageId: str | None = None


class SendCall(BaseModel):
    path: Literal["messages:send"]
    args: SendArguments


async def keep_session(connection):
    """asyncpg's own reset costs a round trip for each request, and nothing here changes a session."""


@contextlib.asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(
        DATABASE_URL, min_size=CONNECTIONS, max_size=CONNECTIONS, reset=keep_session) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)
verified_tokens = {}


async def caller(authorization: Annotated[str, Header()]):
    token = authorization.removeprefix("Bearer ")
    known = verified_tokens.get(token)
    if known is None or known[1] < time.time():
        try:
            claims = jwt.decode(token, KEY, algorithms=["RS256"], audience="convex")
        except jwt.PyJWTError as error:
            raise HTTPException(401) from error
        user = claims["sub"].split("|")[0].removeprefix("user_")
        known = verified_tokens[token] = (decode_base32(user), claims["exp"])
    return known[0]


def decode_base32(digits):
    value = 0
    for digit in digits:
        value = value << 5 | "0123456789abcdefghjkmnpqrstvwxyz".index(digit)
    return uuid.UUID(int=value)


Caller = Annotated[uuid.UUID, Depends(caller)]


def success(value):
    return Response(
        orjson.dumps({"status": "success", "value": value, "logLines": []}), media_type="application/json")


@app.post("/api/query")
async def list_messages(call: ListCall, user: Caller):
    options = call.args.paginationOpts
    rows = await app.state.pool.fetch(
        LIST_SQL, call.args.conversationId, user, options.cursor or HIGHEST, LOWEST, options.numItems + 1)
    if not rows:
        raise HTTPException(403)
    page = [
        {
            "_id": str(row[0]),
            "content": row[1],
            "senderId": str(row[2]),
            "recipientId": str(row[3]),
            "conversationId": str(row[4]),
            "read": row[5],
            "createdAt": row[6].timestamp() * 1000,
        }
        for row in rows[: options.numItems]
        if row[0] is not None
    ]
    return success({
        "page": page,
        "isDone": len(rows) <= options.numItems,
        "continueCursor": page[-1]["_id"] if page else "",
    })


@app.post("/api/mutation")
async def send_message(call: SendCall, user: Caller):
    arguments = call.args
    message = await app.state.pool.fetchval(
        SEND_SQL, user, arguments.recipientId, arguments.content, arguments.clientMessageId)
    if message is None:
        raise HTTPException(404)
    return success(str(message))


@app.get("/health")
async def health():
    return Response()
