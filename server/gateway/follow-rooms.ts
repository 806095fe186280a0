import type { PresenceService } from '../presence/presence-service.js';
import type { TopicHub } from '../topics/topic-hub.js';
import type { ConnectionRegistry } from './connection-registry.js';

interface FollowRoomsDependencies {
  readonly registry: ConnectionRegistry;
  readonly topics: TopicHub;
  readonly presence: PresenceService;
}

/** Derives the active topics of this replica, and the presence of its users, from Socket.IO's rooms. */
export function followRooms({ registry, topics, presence }: FollowRoomsDependencies): void {
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
      const userId = userOf(id);
      if (userId !== undefined) presence.left(topic, userId);
    },
  });
}
