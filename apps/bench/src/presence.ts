// Which of the programs are there.
import { existsSync } from 'node:fs';
import { installHint, type Peer, type PeerName, peers } from './peers';
import type { PeerState } from './result';
import type { SessionPool } from './session-pool';

/** Programs that are measured whatever is asked for: without them there is nothing to compare. */
const ALWAYS: readonly PeerName[] = ['qlora', 'copy'];

/** The states of all programs: those not wanted are left out, the others started and asked. */
export async function findPeers(
  pool: SessionPool,
  wanted: ReadonlySet<PeerName>,
  onStep: (step: string) => void = () => {},
): Promise<PeerState[]> {
  const states: PeerState[] = [];
  for (const peer of peers) {
    const { name, title, how, bundle } = peer;
    const install = bundle ? installHint(bundle) : null;
    const base = { name, title, how, versions: {}, note: null, problem: null, install };
    if (!ALWAYS.includes(name) && !wanted.has(name)) {
      states.push({ ...base, state: 'left out' });
      continue;
    }
    onStep(`starting ${title}`);
    states.push({ ...base, ...(await ask(pool, peer)) });
  }
  return states;
}

async function ask(
  pool: SessionPool,
  peer: Peer,
): Promise<Pick<PeerState, 'state'> & Partial<Pick<PeerState, 'versions' | 'note' | 'problem'>>> {
  if (peer.needs && !existsSync(peer.needs)) return { state: 'absent', problem: 'is not installed' };
  try {
    const { versions, note } = await pool.describe(peer.name);
    return { state: 'measured', versions, note: note ?? null };
  } catch (error) {
    if (peer.bundle === undefined) throw error;
    return { state: 'absent', problem: (error as Error).message };
  }
}
