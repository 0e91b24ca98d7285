// The page's style, light and dark.

/** CSS. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --ink: light-dark(#1c1d21, #e8e8ea); --paper: light-dark(#fdfdfc, #17181b); --faint: light-dark(#6b6e76, #9a9da6); --line: light-dark(#e3e3e0, #303238);
  --ours: light-dark(#2458c5, #86a8ff); --script: light-dark(#2f8f5b, #62c08d); --native: light-dark(#b5651d, #dfa05f); --machine: light-dark(#8a8d95, #777b85); --good: light-dark(#1d7a46, #62c08d); --bad: light-dark(#b3261e, #f2867f); }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; }
.note { color: var(--faint); margin: .3rem 0 .6rem; }
.wide { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; } th { text-align: left; font-weight: normal; color: var(--faint); } th, td { padding: .25rem 1rem .25rem 0; vertical-align: top; } tbody tr { border-top: 1px solid var(--line); }
.marks td:nth-child(n + 2) { white-space: nowrap; } .met td:last-child { color: var(--good); } .missed td:last-child { color: var(--bad); } .not-measured, .disturbed { color: var(--faint); }
figure { margin: 0 0 1.4rem; } figcaption { font-weight: 600; margin-bottom: .2rem; } figure ul { color: var(--faint); font-size: .85rem; margin: .2rem 0 0; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 12.5px; fill: var(--ink); dominant-baseline: central; font-variant-numeric: tabular-nums; } svg .label { text-anchor: end; } svg .value { fill: var(--faint); }
svg .axis { stroke: var(--line); } svg .thin { stroke: var(--ink); stroke-width: 1; } svg .thick { stroke: var(--ink); stroke-width: 4; stroke-opacity: .55; }
.ours rect { fill: var(--ours); } .script rect { fill: var(--script); } .native rect { fill: var(--native); } .machine rect { fill: var(--machine); } .ours .label, .ours .value { font-weight: 600; fill: var(--ink); }
.legend span { border-left: .9rem solid; padding-left: .4rem; margin-right: 1.2rem; color: var(--ink); } .legend .ours { border-color: var(--ours); } .legend .script { border-color: var(--script); } .legend .native { border-color: var(--native); } .legend .machine { border-color: var(--machine); }`;
