"""Subscribes to a topic, publishes thirty messages (ten plain, ten that are confirmed, ten plain), and prints as one line of JSON
which of them it has received, and how many confirmations there were. Arguments: URL, token, topic."""

import json
import queue
import sys
import threading

import socketio

ANSWER_LIMIT_SECS = 10


def main(url, token, topic):
    joined = threading.Event()
    arrivals = queue.Queue()
    client = socketio.Client(reconnection=False)
    client.on("status", lambda _status: joined.set())

    @client.on("message")
    def on_message(message):
        arrivals.put(message["payload"])

    def ask(command, request):
        answer = client.call(command, request, timeout=ANSWER_LIMIT_SECS)
        if not answer["ok"]:
            raise RuntimeError(f"{command}: {answer}")
        return answer

    client.connect(url, auth={"token": token}, transports=["websocket"])
    if not joined.wait(ANSWER_LIMIT_SECS):
        raise RuntimeError("no status event")
    ask("subscribe", {"topics": [topic]})
    confirmed = 0
    for n in range(30):
        confirm = {"confirm": "delivered"} if 10 <= n < 20 else {}
        answer = ask("publish", {"topic": topic, "payload": n, **confirm})
        confirmed += answer.get("delivered", 0)
    received = []
    try:
        while len(received) < 30:
            received.append(arrivals.get(timeout=ANSWER_LIMIT_SECS))
    except queue.Empty:
        pass
    client.disconnect()
    print(json.dumps({"received": received, "confirmed": confirmed}))


main(*sys.argv[1:4])
