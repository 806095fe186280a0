import { createServer, type Server } from 'node:http';

interface HttpServerSettings {
  readonly keepAliveSecs: number;
  readonly headerTimeoutSecs: number;
  readonly maxHeaderBytes: number;
  /** 0: no limit. */
  readonly maxTcpConnections: number;
}

/** Header fields of one request. Browsers behind proxies send about forty. */
const maxHeaders = 200;

/** How often Node looks for requests over their time, in milliseconds. */
const checkMs = 1000;

/** Makes the HTTP server, with limits for clients that send nothing, or slowly. It listens when the service is started. */
export function createHttpServer({
  keepAliveSecs,
  headerTimeoutSecs,
  maxHeaderBytes,
  maxTcpConnections,
}: HttpServerSettings): Server {
  const http = createServer({
    keepAliveTimeout: keepAliveSecs * 1000,
    // Counts from the first byte of a request, and of a connection without a request from its beginning.
    headersTimeout: headerTimeoutSecs * 1000,
    maxHeaderSize: maxHeaderBytes,
    connectionsCheckingInterval: checkMs,
  });
  http.maxHeadersCount = maxHeaders;
  // No limit of requests per connection: balancers keep connections for hours, and a request leaves nothing on its connection.
  http.maxRequestsPerSocket = 0;
  if (maxTcpConnections > 0) http.maxConnections = maxTcpConnections;
  return http;
}
