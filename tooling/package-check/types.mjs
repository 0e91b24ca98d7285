// What are-the-types-wrong says of a tarball, for those who resolve as Node 16 and later and as bundlers do. The resolver
// of Node 10 knows no `exports`; it went out of support with Node 10 itself.
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { filterProblems, problemKindInfo } from '@arethetypeswrong/core/problems';

/** @returns a sentence for each problem. */
export async function typeProblems(tarball, manifest) {
  const analysis = await checkPackage(createPackageFromTarballData(tarball));
  if (!analysis.types) return ['attw: has no types'];
  const isDual = Object.values(manifest.exports).some((target) => target.require !== undefined);
  const resolutions = ['node16-esm', 'bundler', ...(isDual ? ['node16-cjs'] : [])];
  const problems = new Set(
    resolutions.flatMap((resolutionKind) => filterProblems(analysis, { resolutionKind })),
  );
  return [...problems].map((problem) => {
    const { title, docsUrl } = problemKindInfo[problem.kind];
    const where = [problem.entrypoint, problem.resolutionKind, problem.fileName].filter(Boolean).join(', ');
    return `attw: ${title}${where ? ` (${where})` : ''}, see ${docsUrl}`;
  });
}
