import type { PresenceService } from '../presence/presence-service.js';
import type { SessionService } from '../sessions/session-service.js';
import type { TopicHub } from '../topics/topic-hub.js';
import type { ConnectionRegistry } from './connection-registry.js';

interface FollowRoomsDependencies {
  readonly registry: ConnectionRegistry;
  readonly topics: TopicHub;
  readonly presence: PresenceService;
  readonly sessions: Pick<SessionService, 'drop'>;
}

/**
 * Derives the active topics of this replica, the presence of its users, and what their sessions lose, from
 * Socket.IO's rooms.
 */
export function followRooms({ registry, topics, presence, sessions }: FollowRoomsDependencies): void {
  const userOf = (id: string) => registry.connection(id)?.identity.userId;
  registry.follow({
    onRoomCreated: (topic) => topics.onRoomCreated(topic),
    onRoomDeleted: (topic) => topics.onRoomDeleted(topic),
    onJoined: (topic, id) => {
      const userId = userOf(id);
      if (userId !== undefined) presence.joined(topic, userId);
    },
    onLeft: (topic, id) => {
      topics.onLeft(topic, id);
      const connection = registry.connection(id);
      if (connection === undefined) return;
      presence.left(topic, connection.identity.userId);
      // Also if a program has removed the socket from the room. Of a connection that closes, the session was
      // taken before.
      sessions.drop(connection, topic);
    },
  });
}
