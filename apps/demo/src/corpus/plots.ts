// The plots: each a list of sentences, each sentence with several wordings. `{hero}` and its kin are filled by story.ts;
// `{He}` `{he}` `{his}` `{him}` follow the hero, `{friend}` is the one that the hero meets.

/** A plot: for each sentence its wordings. */
export type Plot = readonly (readonly string[])[];

const opening = [
  'Once there was a {trait} {creature} named {hero}.',
  '{hero} was a {trait} {creature} who lived near the {place}.',
  'In a house by the {place} lived a {trait} {creature} named {hero}.',
  'Near the {place} there lived a {creature}. {His} name was {hero}.',
];

const ending = [
  '{hero} went home and was very {feeling}.',
  'That night {hero} was {feeling} and slept well.',
  'From that day on, {hero} and {friend} were good friends.',
  'And {hero} and {friend} laughed all the way home.',
];

export const plots: readonly Plot[] = [
  // Something is lost and found.
  [
    opening,
    [
      '{He} had a {thing} and loved it very much.',
      '{His} best treasure was a {thing}.',
      '{He} always had a {thing} with {him}.',
    ],
    [
      '{time}, the {thing} was gone.',
      '{time}, {he} could not find the {thing}.',
      '{time}, {he} lost the {thing} near the {place}.',
    ],
    [
      '{hero} looked under the bed and behind the door.',
      '{hero} looked here and there, but it was not there.',
      '{He} sat down and began to cry.',
    ],
    [
      'Then {friend} the {other} came by.',
      'Then a {other} named {friend} came along the road.',
      '{friend} the {other} heard it and came to help.',
    ],
    [
      '"Why are you so sad?" asked {friend}.',
      '"What is the matter, my friend?" said {friend}.',
      '"Do not cry," said {friend}. "I will help you."',
    ],
    ['"I lost my {thing}," said {hero}.', '"My {thing} is gone," said {hero}.'],
    [
      'They looked for it together and found it near the {place}.',
      'They walked to the {place}, and there it was, in the grass.',
      '{friend} found it behind a big tree.',
    ],
    ['"Thank you, my friend," said {hero}.', '"You are the best friend of all," said {hero}.'],
    ending,
  ],
  // A friend needs help.
  [
    opening,
    ['{time}, {hero} went for a walk to the {place}.', '{time}, {he} walked along the {place}.'],
    [
      'There {he} saw {friend} the {other}, who was stuck in the mud.',
      'There {he} heard a cry. It was {friend} the {other}, who had fallen into a hole.',
      'There sat {friend} the {other} in a tree and could not come down.',
    ],
    ['"Please help me!" said {friend}.', '"Help! Is there someone?" cried {friend}.'],
    [
      '"I am small, but I will try," said {hero}.',
      '"Do not be afraid, I am here," said {hero}.',
      '"Hold my hand," said {hero}.',
    ],
    [
      '{hero} took a long rope and pulled with all {his} might.',
      '{He} pulled and pulled, once, twice, three times.',
      '{He} found a long stick and held it out.',
    ],
    ['At last {friend} was free.', 'And then, with a big jump, {friend} was safe.'],
    ['"You are very brave," said {friend}.', '"Thank you. You are my hero," said {friend}.'],
    ['They ate {food} together in the sun.', '{friend} gave {him} some {food}.'],
    ending,
  ],
  // Sharing.
  [
    opening,
    ['{He} had a basket full of {food}.', '{time}, {he} found a lot of {food} at the {place}.'],
    ['"This is all for me," {he} said.', '"I will eat it all by myself," {he} thought.'],
    [
      'But {friend} the {other} was hungry and had nothing to eat.',
      'Then came {friend} the {other}, who had not eaten all day.',
    ],
    [
      '"May I have some of your {food}?" asked {friend}.',
      '"Your {food} looks good," said {friend}. "Can you give me some?"',
    ],
    ['{hero} thought about it for a while.', '{hero} looked at {his} {food}, and then at {friend}.'],
    [
      '"Yes, you may," {he} said at last. "There is more than I need."',
      '"Sit down with me," {he} said. "We will share."',
    ],
    ['They ate the {food} under a tree.', 'The {food} was gone soon, but it was a good meal.'],
    [
      '"It is better to eat with a friend," said {hero}.',
      '"Next time I will bring something for you," said {friend}.',
    ],
    ending,
  ],
  // Being afraid of the dark.
  [
    opening,
    ['{hero} was afraid of the dark.', '{He} was not afraid of anything, but {he} did not like the night.'],
    [
      '{time}, {he} stayed too long at the {place}, and the sun went down.',
      '{time}, {he} lost {his} way, and it became dark.',
    ],
    [
      '"Who is there?" {he} asked, for there was a sound in the trees.',
      '{He} heard a strange sound behind {him}.',
    ],
    [
      'It was only {friend} the {other} with a small lamp.',
      'Out of the dark came {friend} the {other} with a lamp.',
    ],
    [
      '"Come with me," said {friend}. "I know the way."',
      '"Do not be afraid," said {friend}. "Look at the stars."',
    ],
    ['They walked side by side and sang a song.', 'They looked at the moon, which was big and round.'],
    ['"The night is not so bad," said {hero}.', '"With you I am not afraid," said {hero}.'],
    ending,
  ],
  // Making something.
  [
    opening,
    [
      '{time}, {he} wanted to make a {thing}.',
      '{hero} had a plan. {He} wanted to make a {thing} for {friend} the {other}.',
    ],
    ['{He} worked all day, but it broke.', '{He} tried and tried, but it did not look right.'],
    ['"I can not do it," {he} said.', '"This is too hard for me," {he} said.'],
    ['{friend} the {other} came to see what {he} was doing.', 'Just then {friend} the {other} came in.'],
    ['"You are almost there," said {friend}. "Try once more."', '"Let us do it together," said {friend}.'],
    ['So they worked until the sun went down.', 'They cut and glued and painted.'],
    [
      'In the end the {thing} was done, and it was beautiful.',
      'And look, there was the finest {thing} in all the land.',
    ],
    ['"I am so proud of you," said {friend}.', '"We did it!" said {hero}.'],
    ending,
  ],
  // A storm.
  [
    opening,
    ['{time}, dark clouds came over the {place}.', '{time}, a strong wind began to blow.'],
    ['The rain fell and the wind took {his} {thing} away.', 'There was a big storm, and {hero} was all wet.'],
    [
      '{He} ran to the house of {friend} the {other}.',
      '{He} saw a light. It was the house of {friend} the {other}.',
    ],
    ['"May I come in?" asked {hero}.', '"Please open the door!" said {hero}.'],
    [
      '"Of course," said {friend}. "Come in and sit by the fire."',
      '"My house is your house," said {friend}.',
    ],
    ['{friend} made hot {food} and told a story.', 'They ate warm {food} and played a game.'],
    [
      'Soon the storm was over and the sun came out.',
      'When they looked out, there was a rainbow over the {place}.',
    ],
    ending,
  ],
];
