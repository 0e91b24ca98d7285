// Stories in which someone helps.
import type { Plot } from './contract';

export const helping: readonly Plot[] = [
  {
    name: 'stuck',
    beats: [
      [
        '{time}, {hero} went for a walk to the {place}.',
        '{time}, {he} walked along the road to the {place}.',
        '{time}, {he} was picking flowers near the {place}.',
      ],
      [
        'There {he} saw {friend} the {other}, who was stuck in the mud.',
        'There {he} heard a cry. {friend} the {other} had fallen into a hole.',
        'There {friend} the {other} was stuck in a bush.',
      ],
      [
        '"Please help me!" cried {friend}.',
        '"Help! Is someone there?" cried {friend}.',
        '"I can not get out," said {friend}.',
      ],
      [
        '"It is hard, but I will try," said {hero}.',
        '"Do not be afraid, I am here," said {hero}.',
        '"Hold on to me," said {hero}.',
      ],
      [
        '{He} found a long rope and pulled with all {his} might.',
        '{He} pulled and pulled, once, twice, three times.',
        '{He} held out a long stick and pulled.',
      ],
      [
        'At last {friend} was free.',
        'Then, with one big jump, {friend} was out.',
        'And then, plop, {friend} was free again.',
      ],
      [
        '"You are very brave," said {friend}.',
        '"Thank you. You saved me," said {friend}.',
        '"I will never forget this," said {friend}.',
      ],
      [
        'They sat in the sun and ate some {food}.',
        '{friend} gave {him} some {food}.',
        'Then they shared some {food} under a tree.',
      ],
    ],
  },
  {
    name: 'a storm',
    beats: [
      [
        '{time}, dark clouds came over the {place}.',
        '{time}, a strong wind began to blow.',
        '{time}, it began to rain and did not stop.',
      ],
      [
        'Soon {hero} was all wet and cold.',
        'The rain fell, and {hero} had no coat.',
        'The wind was so strong that {hero} could hardly walk.',
      ],
      [
        '{He} ran to the house of {friend} the {other}.',
        'Then {he} saw a light. It was the house of {friend} the {other}.',
        'The house of {friend} the {other} was not far away.',
      ],
      [
        '"Please open the door!" cried {hero}.',
        '"May I come in?" asked {hero}.',
        '{He} knocked on the door, once, twice, three times.',
      ],
      [
        '"Of course," said {friend}. "Come and sit by the fire."',
        '"My house is your house," said {friend}.',
        '"You poor thing," said {friend}. "Come in!"',
      ],
      [
        '{friend} made something hot to drink and told a story.',
        'They sat by the fire and ate some {food}.',
        '{friend} gave {him} a warm blanket and some {food}.',
      ],
      [
        'Soon the storm was over, and the sun came out.',
        'When they looked out, there was a rainbow over the {place}.',
        'In the morning the sky was blue again.',
      ],
      [
        '"Thank you for your help," said {hero}.',
        '"A good friend is like a warm house," said {hero}.',
        '"You can always come to me," said {friend}.',
      ],
    ],
  },
  {
    name: 'ill in bed',
    beats: [
      [
        '{time}, {hero} waited for {friend} the {other}, but {friend} did not come.',
        '{time}, {hero} heard that {friend} the {other} was ill.',
        '{time}, {friend} the {other} had a cold and had to stay in bed.',
      ],
      [
        '{He} went to the house of {friend} at once.',
        '"I must go and see {friend}," said {hero}.',
        '{He} put on a coat and went to see {friend}.',
      ],
      [
        '"I feel so weak," said {friend}.',
        '"My head hurts," said {friend}.',
        '{friend} lay in bed and could not sleep.',
      ],
      [
        '"I will take care of you," said {hero}.',
        '"Stay in bed," said {hero}. "I will cook for you."',
        '"Do not worry," said {hero}. "I am here."',
      ],
      [
        '{He} made tea with milk.',
        '{He} cooked for a long time, and it smelled very good.',
        '{He} brought some {food} and told a funny story.',
      ],
      [
        '{He} stayed all night and sat by the bed.',
        '{He} sang a song until {friend} fell asleep.',
        '{He} came back every day.',
      ],
      [
        'In the morning {friend} felt much better.',
        'Two days later {friend} could laugh again.',
        'Soon {friend} was well again.',
      ],
      [
        '"You are the best doctor," said {friend}.',
        '"You made me well," said {friend}.',
        '"How can I thank you?" asked {friend}.',
      ],
    ],
  },
  {
    name: 'the truth',
    beats: [
      [
        '{time}, {hero} went to see {friend} the {other}, but {friend} was not at home.',
        '{time}, {hero} was alone in the house of {friend} the {other}.',
        '{time}, {hero} waited for {friend} the {other} and played with a ball.',
      ],
      [
        'Crash! A plate fell down and broke.',
        'Then the best plate fell from the table and broke.',
        'But {he} was not careful, and a plate broke.',
      ],
      [
        '"Oh no!" cried {hero}. "What shall I do?"',
        '{hero} hid it under the bed and went away.',
        '"No one will know," thought {hero}.',
      ],
      [
        'But {he} could not sleep that night.',
        'But {he} felt bad all day.',
        'But the {food} did not taste good that evening.',
      ],
      [
        'So {he} went back to {friend}.',
        'In the morning {he} went to {friend}.',
        'Then {he} knew what {he} had to do.',
      ],
      [
        '"I broke your plate," said {hero}.',
        '"It was me," said {hero}. "I broke the plate."',
        '"I am sorry about the plate," said {hero}.',
      ],
      [
        '"Thank you for telling me," said {friend}.',
        '"It was only a plate," said {friend}.',
        '"You told the truth," said {friend}. "That is what counts."',
      ],
      [
        'They glued it together, and it looked fine.',
        '{hero} made a new plate, and it was even better.',
        'Then they ate {food} from two other plates.',
      ],
    ],
  },
];
