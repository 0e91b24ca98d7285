// Every block type held to ggml's own library: two million values of fifteen distributions, with and without importance.
import { testGoldens } from './testing/golden';

testGoldens('long');
