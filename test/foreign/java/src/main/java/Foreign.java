import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.json.JSONArray;
import org.json.JSONObject;

/**
 * Subscribes to a topic, publishes thirty messages (ten plain, ten that are confirmed, ten plain), and prints as one line of JSON
 * which of them it has received, and how many confirmations there were. Arguments: URL, token, topic.
 */
public final class Foreign {
  private static final long ANSWER_LIMIT_SECS = 10;

  private static JSONObject ask(Socket socket, String command, JSONObject request) throws Exception {
    BlockingQueue<Object> answers = new LinkedBlockingQueue<>();
    socket.emit(command, request, (Ack) args -> answers.add(args[0]));
    JSONObject answer = (JSONObject) answers.poll(ANSWER_LIMIT_SECS, TimeUnit.SECONDS);
    if (answer == null) throw new IllegalStateException(command + " was not answered");
    if (!answer.getBoolean("ok")) throw new IllegalStateException(command + ": " + answer);
    return answer;
  }

  public static void main(String[] args) throws Exception {
    BlockingQueue<Boolean> joined = new LinkedBlockingQueue<>();
    BlockingQueue<Object> arrivals = new LinkedBlockingQueue<>();
    IO.Options options = IO.Options.builder()
        .setTransports(new String[] {"websocket"})
        .setReconnection(false)
        .setAuth(Map.of("token", args[1]))
        .build();
    Socket socket = IO.socket(args[0], options);
    socket.on("status", ignored -> joined.add(true));
    socket.on("message", event -> {
      arrivals.add(((JSONObject) event[0]).opt("payload"));
      // The last argument is there if the sender waits for confirmations.
      if (event.length > 1) ((Ack) event[event.length - 1]).call();
    });
    socket.connect();
    if (joined.poll(ANSWER_LIMIT_SECS, TimeUnit.SECONDS) == null) throw new IllegalStateException("no status event");
    String topic = args[2];
    ask(socket, "subscribe", new JSONObject().put("topics", new JSONArray().put(topic)));
    int confirmed = 0;
    for (int n = 0; n < 30; n++) {
      JSONObject request = new JSONObject().put("topic", topic).put("payload", n);
      boolean confirm = n >= 10 && n < 20;
      if (confirm) request.put("confirm", "delivered");
      JSONObject answer = ask(socket, "publish", request);
      if (confirm) confirmed += answer.getInt("delivered");
    }
    JSONArray received = new JSONArray();
    while (received.length() < 30) {
      Object payload = arrivals.poll(ANSWER_LIMIT_SECS, TimeUnit.SECONDS);
      if (payload == null) break;
      received.put(payload);
    }
    System.out.println(new JSONObject().put("received", received).put("confirmed", confirmed));
    System.exit(0);
  }
}
