import { errorComponents } from './error-responses.js';

/** The frame of an OpenAPI 3.1 document: every operation takes a bearer token, unless it says otherwise. */
export function openApiFrame({
  title,
  version,
  description,
  paths,
  components = {},
}: {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  readonly paths: object;
  readonly components?: object;
}) {
  return {
    openapi: '3.1.0',
    info: {
      title,
      version,
      description: `${description} Lengths of texts are in UTF-16 code units.`,
    },
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      ...errorComponents,
      ...components,
    },
  };
}
