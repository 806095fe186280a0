/** Import rules: no cycles (type imports included), and one direction between layers. */
const domains = '^server/(auth|commands|topics|direct|presence|sessions|limits|emergency|actors)/';
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'shared-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: '^(server|client|admin|bench|test)/' },
    },
    {
      name: 'client-imports-shared-only',
      severity: 'error',
      from: { path: '^client/' },
      to: { path: '^(server|admin|bench|test)/' },
    },
    {
      name: 'domains-do-not-import-drivers',
      severity: 'error',
      from: { path: domains },
      to: { path: '^server/(cluster|http|cli)/' },
    },
    {
      name: 'nothing-imports-the-composition-root',
      severity: 'error',
      from: { path: '^server/', pathNot: '^server/(main|index|service|cli/)' },
      to: { path: '^server/(main|service|index)\\.ts$' },
    },
    {
      name: 'server-does-not-import-client-or-tests',
      severity: 'error',
      from: { path: '^server/' },
      to: { path: '^(client|bench|test)/' },
    },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      from: { path: '^(server|shared|client)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], pathNot: '@types' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.cjs', '.json'] },
  },
};
