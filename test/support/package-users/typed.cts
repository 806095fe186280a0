import {
  errorTable,
  loadSettings,
  RefusalError,
  roomOf,
  Service,
  SettingsError,
  type ErrorCode,
  type Hooks,
  type Message,
  type Settings,
} from 'realtime-communication';

const settings: Settings = loadSettings({ PORT: '0' });
const code: ErrorCode = 'invalid_payload';
const hooks: Hooks = {
  onPublish({ topic, payload }) {
    if (topic === 'orders' && payload === null) throw new RefusalError(code, 'empty');
    return { payload };
  },
};
export const service: Service = new Service(settings, { hooks });
export const port: Promise<number> = service.start();
export const sequenceOf = ({ sequence }: Message): number => sequence;
export const room: string = roomOf('news');
export const problemsOf = (error: SettingsError): readonly string[] => error.problems;
export const codes: string[] = Object.keys(errorTable);
