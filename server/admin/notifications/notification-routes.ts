import { z } from 'zod';
import { readTopicName } from '../../../shared/topic-name.js';
import { topicField } from '../../protocol/request-fields.js';
import { adminRoute, type AdminRoute } from '../admin-route.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { reasonField, unresponsiveField } from '../schemas.js';
import { notifyClients } from './notification-operations.js';

interface NotificationRouteDependencies {
  readonly cluster: ClusterOperations;
  readonly now: () => number;
}

const notificationSchema = z.strictObject({
  type: z.literal('SystemNotification').default('SystemNotification'),
  data: z.strictObject({
    level: z.enum(['info', 'warning', 'error']).default('info'),
    message: z.string().min(1).max(2000),
  }),
  /** Only to these users. */
  users: z
    .array(z.string().meta({ title: 'name' }))
    .min(1)
    .max(1000)
    .optional(),
  /** Only to the subscribers of this topic. */
  topic: topicField.optional(),
  /** For the audit log; clients do not receive it. */
  reason: reasonField,
});

/** Notifications that operators send to clients. */
export function notificationRoutes({ cluster, now }: NotificationRouteDependencies): readonly AdminRoute[] {
  return [
    adminRoute({
      method: 'post',
      path: '/broadcast',
      role: 'operator',
      summary: 'Send a SystemNotification to all clients, to users, or to the subscribers of a topic.',
      body: notificationSchema,
      answer: z.object({ notified: z.int(), silent_replicas: unresponsiveField }),
      run: async ({ body: { data, users, topic } }) => {
        if (topic !== undefined) readTopicName(topic, 'topic');
        const notification = { ...data, timestamp: now() };
        const { answers, unresponsive } = await cluster.ask(notifyClients, { notification, users, topic });
        return {
          notified: answers.reduce((sum, { answer }) => sum + answer.notified, 0),
          silent_replicas: unresponsive,
        };
      },
    }),
  ];
}
