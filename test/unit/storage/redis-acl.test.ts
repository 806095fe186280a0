import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { aclLine, clusterCommands, redisCommands } from '../../../server/storage/redis/redis-acl.js';
import { root } from '../../support/root.js';

const rule = {
  username: 'rtc',
  password: 'secret',
  keyPrefix: 'rtc',
  channelMark: '',
  namespaces: ['/'],
  redisVersion: '7.0',
};

function filesIn(folder: string, end: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(end))
    .map((file) => join(folder, file));
}

describe('the rights of the user of Redis', () => {
  it('are given by one line, with the password as a hash', () => {
    const line = aclLine(rule);
    assert.match(line, /^ACL SETUSER rtc reset on #[\da-f]{64} ~rtc:\* &rtc:\* &rtc:io#\/#\* \+/);
    assert.equal(line.includes('secret'), false);
    assert.doesNotMatch(line, /@all|allkeys|allchannels|waitaof/);
    assert.match(aclLine({ ...rule, redisVersion: '7.2.4' }), / \+waitaof/);
    assert.match(aclLine({ ...rule, redisVersion: '8' }), / \+waitaof/);
    assert.doesNotMatch(aclLine({ ...rule, redisVersion: '6.2' }), / \+waitaof/);
  });

  it('name each namespace of Socket.IO, and channels of the database', () => {
    const line = aclLine({ ...rule, channelMark: ':db2', namespaces: ['/', '/chat'] });
    assert.match(line, / &rtc:io| &rtc:db2:io#\/#\* &rtc:db2:io#\/chat#\* /);
  });

  it('have what a Redis Cluster needs only there', () => {
    assert.match(aclLine({ ...rule, isCluster: true }), / \+cluster\|nodes .*\+ssubscribe /);
    assert.doesNotMatch(aclLine(rule), /cluster|ssubscribe/);
  });

  it('are no wider if the prefix has characters of patterns', () => {
    const line = aclLine({ ...rule, keyPrefix: 'a*b [c]', username: 'my user' });
    assert.match(line, /"my user"/);
    assert.ok(line.includes(String.raw`"~a\\*b \\[c\\]:*"`), line);
  });

  it('are those of the commands in the source, and no others', () => {
    const used = new Set<string>();
    const add = (command: string, more?: string) =>
      used.add(['cluster', 'config', 'pubsub', 'xinfo'].includes(command) ? `${command}|${more}` : command);
    for (const file of filesIn('server/storage/redis', '.ts')) {
      if (file.includes('sentinel')) continue;
      const text = readFileSync(join(root, file), 'utf8');
      for (const [, command, more] of text.matchAll(/\[\s*'([A-Z]{2,})'(?:,\s*'([A-Z]+)')?/g))
        add(command!.toLowerCase(), more?.toLowerCase());
      for (const [, command] of text.matchAll(
        /client\w*\.(p?[sS]ubscribe|p?[uU]nsubscribe|publish|s[sS]ubscribe|sUnsubscribe)\(/g,
      ))
        add(command!.toLowerCase());
    }
    for (const file of filesIn('server/storage/redis/lua', '.lua'))
      for (const [, command, more] of readFileSync(join(root, file), 'utf8').matchAll(
        /(?:\bp?call|readPage)\('([A-Z]+)'(?:, '([A-Z]+)')?/g,
      ))
        add(command!.toLowerCase(), more?.toLowerCase());
    // Those of the libraries: of the adapter, of rate-limit-redis, and of the client for a numbered database.
    for (const command of ['pubsub|numsub', 'pubsub|shardnumsub', 'get', 'set', 'incr', 'pttl', 'select'])
      used.add(command);
    used.delete('waitaof');
    // Words of lists that begin with something else than a command.
    for (const word of ['acl', 'px']) used.delete(word);
    assert.deepEqual([...used].sort(), [...redisCommands, ...clusterCommands].sort());
  });
});
