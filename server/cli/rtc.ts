#!/usr/bin/env node
import './process-start.js';
import { Command } from 'commander';
import jwt from 'jsonwebtoken';
import { loadSettings, SettingsError } from '../config/load.js';
import { settingsTable } from '../config/describe.js';
import { exampleFile } from '../config/example.js';
import { configCommand } from './config.js';
import { connectCommand } from './connect.js';
import { decodeCommand } from './decode.js';
import { redisCommand } from './redis.js';
import { sessionsCommand } from './sessions.js';

const program = new Command('rtc')
  .description('Commands for operators of the service.')
  .option('-c, --config <file>', 'settings file; else RTC_CONFIG, else rtc.toml if there is one');

program
  .command('token')
  .description('print a token that is signed with JWT_SECRET')
  .requiredOption('-u, --user <id>', 'user id (claim sub)')
  .option('-r, --role <role...>', 'roles', ['user'])
  .option(
    '-t, --topic <pattern...>',
    'topics the token is restricted to; names are subscribed by the service',
  )
  .option('-e, --expires <time>', 'time to live: 15m, 12h, 30d', '12h')
  .action((options: { user: string; role: string[]; topic?: string[]; expires: string }) => {
    const { auth } = settings();
    if (auth.jwtSecret === undefined) fail('auth.jwt_secret: set JWT_SECRET to the secret of the service');
    const claims = {
      sub: options.user,
      roles: options.role,
      ...(options.topic && { topics: options.topic }),
    };
    try {
      console.log(
        jwt.sign(claims, auth.jwtSecret, {
          expiresIn: options.expires as jwt.SignOptions['expiresIn'] & string,
          ...(auth.issuer !== undefined && { issuer: auth.issuer }),
          ...(auth.audience !== undefined && { audience: auth.audience }),
        }),
      );
    } catch (error) {
      fail(`--expires: ${(error as Error).message}`);
    }
  });

program.addCommand(configCommand(settings));

program
  .command('config-table')
  .description('print the table of docs/config.md')
  .action(() => console.log(settingsTable()));

program
  .command('config-example')
  .description('print config.example.toml')
  .action(() => console.log(exampleFile()));

program.addCommand(
  decodeCommand(() => loadSettings(process.env, program.opts<{ config?: string }>().config)),
);
program.addCommand(connectCommand());
program.addCommand(redisCommand(settings));
program.addCommand(
  sessionsCommand(() => loadSettings(process.env, program.opts<{ config?: string }>().config)),
);

function settings(): ReturnType<typeof loadSettings> {
  try {
    return loadSettings(process.env, program.opts<{ config?: string }>().config);
  } catch (error) {
    if (error instanceof SettingsError) fail(error.message);
    throw error;
  }
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

program.parse();
