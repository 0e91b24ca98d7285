// Stories about being friends.
import type { Plot } from './contract';

export const friendship: readonly Plot[] = [
  {
    name: 'sharing',
    beats: [
      [
        '{time}, {he} found a tree full of {fruits}.',
        '{time}, {he} had a basket full of {fruits}.',
        '{time}, {he} picked {fruits} near the {place} until the basket was full.',
      ],
      [
        '"These are all for me," said {hero}.',
        '"I will eat them all by myself," thought {hero}.',
        '{He} sat down and began to eat.',
      ],
      [
        'Then {friend} the {other} came by, tired and hungry.',
        'Then came {friend} the {other}, who had not eaten all day.',
        'But {friend} the {other} was hungry and had nothing to eat.',
      ],
      [
        '"May I have some of your {fruits}?" asked {friend}.',
        '"Your {fruits} look good," said {friend}. "Can you give me some?"',
        '"I am so hungry," said {friend}. "Will you share with me?"',
      ],
      [
        '{hero} thought about it for a while.',
        '{hero} looked at the {fruits}, and then at {friend}.',
        'At first {hero} did not know what to say.',
      ],
      [
        '"Yes, of course," {he} said at last. "There is enough for two."',
        '"Sit down with me," {he} said. "We will share."',
        '"Take as many as you like," {he} said.',
      ],
      [
        'They ate the {fruits} under a tree.',
        'Soon all the {fruits} were gone.',
        'They ate and ate until they were full.',
      ],
      [
        '"It is better to eat with a friend," said {hero}.',
        '"Next time I will bring something for you," said {friend}.',
        '"You have a good heart," said {friend}.',
      ],
    ],
  },
  {
    name: 'a quarrel',
    beats: [
      [
        '{hero} and {friend} the {other} played together every day.',
        '{friend} the {other} was {his} best friend.',
        '{He} liked to play with {friend} the {other}.',
      ],
      [
        '{time}, they found a {thing}, and both of them wanted it.',
        '{time}, they fought over a {thing}.',
        '{time}, they both wanted to have the same {thing}.',
      ],
      ['"It is mine!" cried {hero}.', '"Give it to me!" cried {hero}.', '"I had it first!" cried {hero}.'],
      [
        '"Then I will go home," said {friend}.',
        '"I will not play with you any more," said {friend}.',
        '{friend} said nothing and went away.',
      ],
      [
        'Now {hero} had the {thing}, but {he} was all alone.',
        '{hero} played with the {thing}, but it was no fun.',
        '{hero} sat by the {place} and felt sad.',
      ],
      [
        'So {he} went to the house of {friend}.',
        'The next day {he} went to see {friend}.',
        'In the evening {he} knocked on the door of {friend}.',
      ],
      [
        '"I am sorry," said {hero}. "You can have it."',
        '"Please forgive me," said {hero}.',
        '"I am sorry," said {hero}. "Let us share it."',
      ],
      [
        '"I am sorry, too," said {friend}.',
        '"Let us play together," said {friend}.',
        '{friend} smiled and took {his} hand.',
      ],
    ],
  },
  {
    name: 'someone new',
    beats: [
      [
        '{time}, {friend} the {other} moved into the house next door.',
        '{time}, someone new came to live near the {place}. It was {friend} the {other}.',
        '{time}, {he} saw a new face near the {place}. It was {friend} the {other}.',
      ],
      [
        '{friend} was shy and did not say a word.',
        'But {friend} had no friends and was always alone.',
        '{friend} sat on the steps and looked sad.',
      ],
      [
        '"I want to do something," thought {hero}.',
        '"I know how that feels," thought {hero}.',
        '{hero} had an idea.',
      ],
      [
        '{He} put some {food} in a basket and went to see {friend}.',
        '{He} took a {thing} and went to see {friend}.',
        '{He} picked some flowers and knocked on the door.',
      ],
      [
        '"Hello, I am {hero}," {he} said.',
        '"Welcome," said {hero}. "I live over there."',
        '"Hello," said {hero}. "This is for you."',
      ],
      [
        '"How kind of you," said {friend}.',
        '"Thank you," said {friend}. "Please come in."',
        '{friend} smiled for the first time.',
      ],
      [
        'They talked until the sun went down.',
        'Then {hero} showed {friend} the way to the {place}.',
        'They played games all afternoon.',
      ],
      [
        '"I was afraid that no one would like me," said {friend}.',
        '"Will you come again?" asked {friend}.',
        '"Now I feel at home," said {friend}.',
      ],
    ],
  },
  {
    name: 'a birthday',
    beats: [
      [
        'One day, it was {his} birthday, but no one said a word.',
        'It was {his} birthday, but no one came to see {him}.',
        'Today was {his} birthday, and {he} was all alone.',
      ],
      [
        '"They have all forgotten me," said {hero}.',
        '"No one thinks of me," said {hero}.',
        '{hero} sat by the window and waited.',
      ],
      [
        'In the evening {friend} the {other} came to the door.',
        'Then there was a knock. It was {friend} the {other}.',
        'At last {friend} the {other} came up the road.',
      ],
      [
        '"Come with me to the {place}," said {friend}.',
        '"Close your eyes and come with me," said {friend}.',
        '"I want to show you something," said {friend}.',
      ],
      [
        '{hero} did not know what to think.',
        'They walked for a while and did not speak.',
        'So {hero} took a deep breath and went along.',
      ],
      [
        'And there were all {his} friends, with lamps and songs.',
        'By the {place} there was a big table full of good things.',
        'There stood a long table, and everyone began to sing.',
      ],
      [
        '"Surprise!" cried {friend}.',
        '"Happy birthday, {hero}!" cried {friend}.',
        '"This is all for you," said {friend}.',
      ],
      [
        '{friend} gave {him} a {thing}.',
        'The best gift was a {thing} from {friend}.',
        'They danced and ate {food} until late at night.',
      ],
      [
        '"I thought you had forgotten me," said {hero}.',
        '"I am so happy," said {hero}.',
        '"I have the best friends in the world," said {hero}.',
      ],
    ],
  },
];
