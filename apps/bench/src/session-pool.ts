// The drivers that are running: one process for each program and number of threads, kept from case to case, and fresh
// ones where memory is measured. One that died is started again for the next case.
import { type Peer, type PeerName, peerNamed } from './peers';
import type { Answer } from './protocol';
import { type Session, startSession } from './session';

/** What a driver says of itself. */
export type Description = Answer<'describe'>;

/** Drivers by program and threads. */
export interface SessionPool {
  /** A driver that has said what it is. @throws Error if it does not start, or has another number of threads. */
  get(name: PeerName, threads: number, fresh: boolean): Promise<Session>;
  /** What a program says of itself with one thread. @throws Error if it is not there. */
  describe(name: PeerName): Promise<Description>;
  stopAll(): Promise<void>;
}

/** An empty pool. */
export function sessionPool(start: (peer: Peer, threads: number) => Session = startPeer): SessionPool {
  const kept = new Map<string, { session: Session; description: Description }>();
  const fresh = new Set<Session>();
  const open = async (name: PeerName, threads: number) => {
    const session = start(peerNamed(name), threads);
    try {
      const description = await session.ask({ do: 'describe' });
      const said = description.threads ?? threads;
      if (said !== threads)
        throw new Error(`${name} was started for ${threads} threads and computes with ${said}`);
      return { session, description };
    } catch (error) {
      await session.stop();
      throw error;
    }
  };
  const shared = async (name: PeerName, threads: number) => {
    const key = `${name}@${threads}`;
    const found = kept.get(key);
    if (found) {
      // A driver that died refuses even this.
      const alive = await found.session.ask({ do: 'describe' }).then(
        () => true,
        () => false,
      );
      if (alive) return found;
      kept.delete(key);
    }
    const opened = await open(name, threads);
    kept.set(key, opened);
    return opened;
  };
  return {
    async get(name, threads, isFresh) {
      if (!isFresh) return (await shared(name, threads)).session;
      const { session } = await open(name, threads);
      fresh.add(session);
      return session;
    },
    describe: async (name) => (await shared(name, 1)).description,
    async stopAll() {
      const sessions = [...[...kept.values()].map(({ session }) => session), ...fresh];
      kept.clear();
      fresh.clear();
      await Promise.all(sessions.map((session) => session.stop()));
    },
  };
}

const startPeer = (peer: Peer, threads: number) => startSession(peer.command(threads));
