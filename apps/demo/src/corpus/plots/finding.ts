// Stories in which something is found.
import type { Plot } from './contract';

export const finding: readonly Plot[] = [
  {
    name: 'a thing is lost',
    beats: [
      [
        '{He} had a {thing} and loved it very much.',
        'The best thing {he} had was a {thing}.',
        '{He} had a {thing} and took it everywhere.',
        'Grandmother had given {him} a {thing}.',
      ],
      [
        '{time}, the {thing} was gone.',
        '{time}, {he} could not find the {thing}.',
        '{time}, {he} came home without the {thing}.',
      ],
      [
        '{hero} looked under the bed and behind the door.',
        '{hero} looked everywhere, but it was not there.',
        '{hero} sat down and began to cry.',
        'A tear ran down {his} nose.',
      ],
      [
        'Then {friend} the {other} came by.',
        '{friend} the {other} wanted to help.',
        'Just then {friend} the {other} came down the road.',
      ],
      [
        '"Why are you so sad?" asked {friend}.',
        '"What is the matter?" asked {friend}.',
        '"You look sad," said {friend}. "What is it?"',
      ],
      [
        '"I lost my {thing}," said {hero}.',
        '"My {thing} is gone," said {hero}.',
        '"I can not find my {thing}," said {hero}.',
      ],
      [
        '"Do not cry," said {friend}. "We will look for it together."',
        '"Let us look near the {place}," said {friend}.',
        '"Come with me," said {friend}. "Four eyes see more than two."',
      ],
      [
        'They went to the {place}, and there it was, in the grass.',
        'They looked all day and found it under a big leaf.',
        '{friend} found it behind a tree near the {place}.',
        'Soon they saw something in the grass. It was the {thing}!',
      ],
      [
        '"Thank you, my friend," said {hero}.',
        '"You are the best friend of all," said {hero}.',
        '"There it is!" cried {hero} and danced with joy.',
      ],
    ],
  },
  {
    name: 'a treasure map',
    beats: [
      [
        '{time}, {he} found an old map under a stone.',
        '{time}, {he} found a bottle by the {place}. There was a map in it.',
        '{time}, an old map fell out of a book.',
      ],
      [
        '"This is the map of a treasure," said {hero}.',
        '"There is a red cross on it," said {hero}.',
        '{hero} looked at it for a long time.',
      ],
      [
        '{He} showed it to {friend} the {other}.',
        '{He} asked {friend} the {other} to come along.',
        '{He} ran to {friend} the {other} with the map.',
      ],
      [
        '"Let us look for it," said {friend}.',
        '"I will bring a lamp," said {friend}.',
        '"I have always wanted to find a treasure," said {friend}.',
      ],
      [
        'They walked all day until they came to the {place}.',
        'The way to the {place} was long and hard.',
        'They went over sticks and stones to the {place}.',
      ],
      [
        'There they began to dig.',
        'There stood a big old tree, and they began to dig.',
        '"It must be here," said {hero}, and they began to dig.',
      ],
      [
        'Deep down there was a box, and in the box was a {thing}.',
        'At last they found a {thing} in the ground.',
        'And what did they find? It was a {thing}!',
      ],
      [
        '"We will share it," said {hero}.',
        '"You may keep it," said {friend}.',
        '"The best treasure is a good friend," said {hero}.',
      ],
    ],
  },
  {
    name: 'a seed',
    beats: [
      [
        '{time}, {he} found a little seed near the {place}.',
        '{time}, the wind brought a little seed.',
        '{time}, a little seed lay on the road.',
      ],
      [
        '{He} put it in the ground and gave it water.',
        '{He} planted it behind the house.',
        '{He} dug a hole and put it in.',
      ],
      [
        '"What will it be?" asked {hero}.',
        '"Grow, little seed," said {hero}.',
        'Every morning {he} looked, but there was nothing.',
      ],
      [
        '"Nothing will come of it," said {friend} the {other}.',
        '{friend} the {other} came by and laughed.',
        '"You have to wait," said {friend} the {other}.',
      ],
      [
        'But {hero} did not give up and gave it water every day.',
        'So {hero} waited and waited.',
        'The sun was warm, and {hero} sang to it every day.',
      ],
      [
        'Then, one day, there was something green.',
        'After the rain there was a small green leaf.',
        'And one morning the seed had become a plant.',
      ],
      [
        'It grew and grew, until it was as tall as {hero}.',
        'In the summer it was full of flowers.',
        'Soon it was a tree full of {fruits}.',
      ],
      [
        '"How beautiful it is!" said {friend}.',
        '"It was good to wait," said {friend}.',
        '"Come and look!" cried {hero}, and {friend} came.',
      ],
    ],
  },
  {
    name: 'a little bird',
    beats: [
      [
        '{time}, {he} found a little bird in the grass.',
        '{time}, a little bird fell out of its nest near the {place}.',
        '{time}, {he} heard a small voice. It was a little bird.',
      ],
      [
        '"I want to go home," said the bird.',
        '"I can not fly yet," said the bird.',
        '"Where is my mother?" asked the bird.',
      ],
      [
        '"I will bring you home," said {hero}.',
        '{hero} put it in a hat to keep it warm.',
        '"Do not be afraid, little one," said {hero}.',
      ],
      [
        'But the nest was too high for {him}.',
        'But {he} could not climb the tree.',
        'But the nest was at the top of a tall tree.',
      ],
      [
        'So {he} called {friend} the {other}.',
        'Then {friend} the {other} came by.',
        '{He} went to get {friend} the {other}.',
      ],
      [
        '"Stand on my back," said {friend}.',
        '"I have a ladder," said {friend}.',
        '"We can do it together," said {friend}.',
      ],
      [
        'They put the bird back into its nest.',
        'Up and up they went, until they came to the nest.',
        'Very slowly they put the bird into its nest.',
      ],
      [
        '"Thank you!" sang the bird.',
        'The mother bird sang a song for them.',
        '"Now I am home," said the bird.',
      ],
    ],
  },
];
