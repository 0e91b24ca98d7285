// Stories in which something is hard at first.
import type { Plot } from './contract';

export const courage: readonly Plot[] = [
  {
    name: 'afraid of the dark',
    beats: [
      [
        '{hero} was afraid of the dark.',
        '{He} was brave by day, but afraid at night.',
        'There was one thing {he} did not like, and that was the night.',
      ],
      [
        'One evening, {he} stayed too long by the {place}, and the sun went down.',
        'One evening, {he} lost {his} way, and it became dark.',
        'One evening, {he} fell asleep near the {place} and woke up in the night.',
      ],
      [
        'Something moved in the trees.',
        'There was a strange sound behind {him}.',
        'Two eyes looked at {him} from the dark.',
      ],
      ['"Who is there?" asked {hero}.', '"Go away!" cried {hero}.', '{hero} began to shake.'],
      [
        'It was only {friend} the {other} with a small lamp.',
        'Out of the dark came {friend} the {other} with a lamp.',
        'But it was only {friend} the {other} on the way home.',
      ],
      [
        '"Come with me," said {friend}. "I know the way."',
        '"Do not be afraid," said {friend}. "Look at the stars."',
        '"Take my hand," said {friend}. "We will go together."',
      ],
      [
        'They walked side by side and sang a song.',
        'They looked at the moon, which was big and round.',
        'They counted the stars until they were home.',
      ],
      [
        '"The night is not so bad," said {hero}.',
        '"With you I am not afraid," said {hero}.',
        '"The stars are beautiful," said {hero}.',
      ],
    ],
  },
  {
    name: 'learning',
    beats: [
      [
        '{hero} wanted to learn how to {skill}.',
        '{hero} could not {skill}, but {he} wanted to.',
        'All the others could {skill}, but {hero} could not.',
      ],
      [
        '{time}, {he} tried, but it did not work.',
        '{time}, {he} tried ten times and gave up.',
        '{time}, {he} tried, and everyone laughed.',
      ],
      [
        '"I will never learn it," said {hero}.',
        '"It is too hard," said {hero}.',
        '{hero} went to the {place} to be alone.',
      ],
      [
        '{friend} the {other} sat down beside {him}.',
        'Then {friend} the {other} came by.',
        '{friend} the {other} had seen it all.',
      ],
      [
        '"I can show you," said {friend}.',
        '"I could not {skill} at first," said {friend}.',
        '"You only need time," said {friend}.',
      ],
      [
        'Every day they met by the {place} and tried again.',
        'They tried again, and this time it was better.',
        '{friend} showed {him} how to do it, step by step.',
      ],
      [
        'One week later, {hero} could {skill} very well.',
        'And all at once, {hero} could do it.',
        'Soon {hero} could {skill} as well as {friend}.',
      ],
      [
        '"Look at me!" cried {hero}.',
        '"I can {skill}!" cried {hero}.',
        '"I knew you could do it," said {friend}.',
      ],
    ],
  },
  {
    name: 'a race',
    beats: [
      [
        '{hero} could run very fast and told everyone about it.',
        '{He} was fast and liked to run.',
        'No one could run as fast as {hero}.',
      ],
      [
        '{time}, {friend} the {other} said, "Let us race to the {place}."',
        '{time}, {friend} the {other} asked {him} to race to the {place}.',
        '{time}, there was a race to the {place}, and {friend} the {other} ran, too.',
      ],
      [
        '"I will win," said {hero}.',
        '"You will never win," said {hero}.',
        '"That will be easy," said {hero}.',
      ],
      [
        'One, two, three, and off they ran.',
        'They ran through the tall grass.',
        'Off they went, as fast as the wind.',
      ],
      [
        'But {hero} fell over a stone and hurt {his} foot.',
        'Soon {hero} was far ahead, but then {he} fell into the mud.',
        'In the middle of the race, {hero} fell and could not get up.',
      ],
      [
        '{friend} saw it and came back.',
        '{friend} stopped at once and turned around.',
        '{friend} did not run on, but came back.',
      ],
      [
        '"Are you hurt?" asked {friend}.',
        '"Hold on to me," said {friend}.',
        '"Let me help you up," said {friend}.',
      ],
      [
        'They walked to the {place} side by side, and both of them won.',
        'So they came to the {place} at the same time.',
        '{friend} carried {him} all the way to the {place}.',
      ],
      [
        '"A friend is better than a prize," said {hero}.',
        '"You are kind," said {hero}. "I was too proud."',
        '"Next time we will run together," said {hero}.',
      ],
    ],
  },
  {
    name: 'making something',
    beats: [
      [
        '{time}, {he} wanted to make a {craft} for {friend} the {other}.',
        '{hero} had a plan. {He} wanted to make a {craft} for {friend} the {other}.',
        'It was the birthday of {friend} the {other}, and {hero} wanted to make a {craft}.',
      ],
      [
        '{He} worked all day, but it broke.',
        '{He} tried and tried, but it did not look right.',
        '{He} cut and glued, but it fell apart.',
      ],
      [
        '"I can not do it," said {hero}.',
        '"This is too hard for me," said {hero}.',
        '"It will never be a {craft}," said {hero}.',
      ],
      [
        'Just then {friend} came in.',
        '{friend} looked in through the window.',
        'Then {friend} knocked on the door.',
      ],
      [
        '"Try once more," said {friend}.',
        '"Let us do it together," said {friend}.',
        '"I can help you," said {friend}. "Show me."',
      ],
      [
        'So they worked until the sun went down.',
        'They cut and glued and painted.',
        'They worked side by side and sang a song.',
      ],
      [
        'In the end the {craft} was done, and it was beautiful.',
        'And there it was, the finest {craft} in all the land.',
        'At last there was a {craft} on the table.',
      ],
      [
        '"We did it!" cried {hero}.',
        '"It is for you," said {hero}, and {friend} smiled.',
        '"I am so proud of you," said {friend}.',
      ],
    ],
  },
];
