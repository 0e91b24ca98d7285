// Models of many layers, in every mixed recipe.
import { testModels } from './testing/converter-tests';
import { tinyModels } from './testing/tiny-models';

testModels(tinyModels.filter(({ name }) => name.startsWith('deep')));
