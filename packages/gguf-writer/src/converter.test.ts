import { testModels } from './testing/converter-tests';
import { tinyModels } from './testing/tiny-models';

testModels(tinyModels.filter(({ name }) => !name.startsWith('deep')));
