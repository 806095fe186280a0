import { z } from 'zod';
import { positive, setting, webAddress } from '../setting.js';

/** What operators use. */
export const admin = z
  .strictObject({
    audit_size: setting(
      positive(10_000, 1_000_000),
      'Approximate number of changes kept in the audit log, and of records of refused requests beside them.',
    ),
    call_timeout_ms: setting(
      positive(2000, 60_000),
      'A replica that does not answer a call within this time is listed in `silent_replicas`.',
    ),
    socket_io_ui: setting(
      z.enum(['auto', 'on', 'off']).default('auto'),
      'The Socket.IO Admin UI at `/admin/socket-io/`, and its namespace `/admin`. `auto`: `on` in the standalone service, `off` in a program that embeds it, which may have that namespace itself.',
    ),
    alert_webhook_url: setting(webAddress.optional(), 'Alerts are posted here as JSON.'),
  })
  .prefault({});
