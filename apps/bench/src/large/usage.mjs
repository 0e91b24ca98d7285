// Loaded into the command before it starts: writes down what the process took when it ends, its threads included.
//
// On Linux the peak is VmHWM of /proc/self/status. `process.resourceUsage().maxRSS` is not it: a process begins with the
// peak of the one that started it, since that is whose memory it has between fork and exec.
import { readFileSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const file = process.env.QLORA_BENCH_USAGE;

function peakBytes() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const [, kilobytes] = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

if (isMainThread && file) {
  process.on('exit', () => {
    const { user, system } = process.cpuUsage();
    const usage = { peakBytes: peakBytes(), cpuSeconds: (user + system) / 1e6 };
    writeFileSync(file, JSON.stringify(usage));
  });
}
