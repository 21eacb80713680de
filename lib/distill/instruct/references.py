"""Answers to `lib.distill.prompts.HELD_OUT`, written by hand, in its order."""

REFERENCES = (
    "Put the egg into boiling water. Take it out after six minutes if you like it"
    " soft, or after ten if you like it hard, and cool it under cold water.",
    "The capital of Australia is Canberra. It is known for Parliament House, the "
    "Australian War Memorial and the National Gallery.",
    "Of course. First choose a date and a place that is easy for her to reach. "
    "Then invite her family and old friends, order her favourite cake, and "
    "collect photographs of her life to show to the guests.",
    "A liquid evaporates in pipes inside the refrigerator and takes up heat from "
    "the food. A compressor then presses the vapour together, so that it becomes "
    "liquid again at the back and gives the heat off to the room.",
    "A bacterium is a living cell that feeds and divides by itself. A virus is "
    "much smaller, is not a cell, and can only multiply inside the cells of "
    "another organism. Antibiotics work against bacteria, but not against "
    "viruses.",
    "White on the dark roof,\n"
    "the street has forgotten noise.\n"
    "One bird leaves its name.",
    "Read about the company and the job, and think of three examples of your work"
    " that fit it. Prepare answers to common questions and two questions of your "
    "own. Choose your clothes tonight, and plan to arrive ten minutes early.",
    "Act quickly. Press a dry cloth on the stain to take up the wine, but do not "
    "rub. Pour a little cold water on it, press again, then cover it with salt or"
    " baking soda, let it dry, and vacuum it.",
    "Why do penguins never get lost in a crowd? Because they always dress for the"
    " occasion.",
    "The Earth's axis is tilted. While the Earth goes around the Sun, each half "
    "of it leans towards the Sun for a part of the year and away from it for "
    "another. So the sunlight is stronger and the days are longer in summer than "
    "in winter.",
    "def is_palindrome(word):\n    word = word.lower()\n    return word == word[::-1]",
    'I suggest "The Early Loaf". It says that the bread is fresh in the morning, '
    "and it is short and easy to remember.",
    "A zipper has two rows of small teeth. The slider has a wedge inside. When "
    "you pull it up, it bends the rows together so that each tooth hooks into the"
    " gap on the other side. When you pull it down, the wedge pushes them apart.",
    "Take sturdy boots, a waterproof jacket, warm layers, socks, a hat and "
    "sunscreen. You also need a map, a first aid kit, a water bottle, some food, "
    "a torch, and a light sleeping bag if you stay in huts.",
    "A mango is very sweet and a little sour, like a peach with some pineapple "
    "and orange in it. Its flesh is soft and juicy, and it smells of flowers and "
    "resin.",
    "Nobody knows exactly. We yawn when we are tired or bored, and when we see "
    "others yawn. It may help to cool the brain, or to wake us up by stretching "
    "the lungs and the muscles of the face.",
    "Fry a chopped onion, a carrot and some garlic in oil. Add 200 grams of "
    "lentils, a tin of tomatoes and a litre of stock. Cook it for thirty minutes,"
    " and season it with salt, pepper and lemon juice.",
    "Romeo and Juliet come from two families in Verona that hate each other. They"
    " fall in love and marry in secret. Romeo is banished after a duel, and "
    "because a message about Juliet's feigned death does not reach him, both kill"
    " themselves. Their families make peace over their graves.",
    "Learn to type with all ten fingers without looking at the keys. Practise for"
    " fifteen minutes every day, and care more about accuracy than about speed at"
    " first.",
    "Dear neighbour, I hope you are well. Your music can be heard in my flat late"
    " in the evening, and I have to get up early. Could you please turn it down "
    "after ten? Thank you very much.",
    "A lawyer advises people about the law, writes contracts and other documents,"
    " and speaks for clients in court.",
    "The wings of an airplane push air down as it moves forward, and the air "
    "pushes the wings up. This force is called lift. The engines keep the "
    "airplane moving fast enough for it.",
    "With compound interest you also earn interest on earlier interest. If you "
    "put 100 dollars in an account at 10 percent a year, you have 110 dollars "
    "after one year, and 121 dollars after two years, because the second year's "
    "interest is paid on 110 dollars.",
    "Put your phone in another room, work for twenty-five minutes and then rest "
    "for five, set a clear goal for each session, and get enough sleep.",
)
