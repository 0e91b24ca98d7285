// The script of the page: computes the report and leaves it where the test can read it.
import { type Report, report } from './report';

declare global {
  interface Window {
    report?: Report;
    failure?: string;
  }
}

report(2).then(
  (result) => {
    window.report = result;
  },
  (error: unknown) => {
    window.failure = String(error);
  },
);
