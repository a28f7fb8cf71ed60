"""Words that name the 80 categories of COCO, and phrases around them that name something else.

Source of the facts: the synonyms and double words of CHAIR (Rohrbach, Hendricks, Burns, Darrell and
Saenko, "Object Hallucination in Image Captioning", EMNLP 2018; github.com/LisaAnne/Hallucination).
The table is this project's own. It goes beyond CHAIR in spellings and everyday words (mug,
rucksack, soccer ball). It departs from CHAIR where that takes a word for more than it says: a
notebook is no laptop unless it is a notebook computer, a bow no tie unless it is a bow tie, a
street light no traffic light, a container no bowl, a bare "sub", "liner", "trolley" or "brindle"
nothing; and a colour (an orange cat), a material (a glass door) or a game (playing baseball) names
no object.

Words are in the singular; plurals follow from `naming.forms`. A space also stands for no space and
for a hyphen: "cell phone" is cellphone and cell-phone too.
"""

from __future__ import annotations

WORDS: dict[str, str] = {
    "person": (
        "human, human being, man, woman, boy, girl, kid, child, baby, infant, toddler, adult, "
        "teenager, teen, lady, guy, gentleman, male, female, someone, somebody, crowd, "
        "spectator, pedestrian, passerby, chef, baker, worker, passenger, sister, brother, "
        "biker, policeman, policewoman, cop, officer, cowboy, cowgirl, bride, groom, traveler, "
        "traveller, tourist, mother, father, mom, mum, dad, parent, grandmother, grandfather, "
        "son, daughter, player, pitcher, catcher, batter, hitter, umpire, referee, athlete, "
        "skier, snowboarder, skater, skateboarder, surfer, swimmer, runner, rider, cyclist, "
        "bicyclist, motorcyclist, foreigner, caller, offender, coworker, trespasser, patient, "
        "politician, soldier, grandchild, serviceman, walker, drinker, doctor, nurse, thief, "
        "buyer, student, teacher, camper, driver, hunter, shopper, villager, fisherman, "
        "fireman, firefighter, businessman, businesswoman, waiter, waitress, farmer, bus "
        "driver, truck driver, cab driver, taxi driver, train conductor, baseball player, "
        "tennis player, football player, soccer player, basketball player, friend"
    ),
    "bicycle": "bike, unicycle, minibike, trike, tricycle, mountain bike",
    "car": (
        "automobile, van, minivan, sedan, suv, hatchback, cab, taxi, taxicab, jeep, coupe, "
        "limo, limousine, police car, sports car, race car, station wagon"
    ),
    "motorcycle": "motor cycle, motor bike, scooter, moped, dirt bike, motor scooter",
    "airplane": (
        "air plane, plane, aeroplane, jetliner, airliner, aircraft, jet, monoplane, airbus, "
        "biplane, seaplane"
    ),
    "bus": "minibus, trolley bus, school bus, double decker, coach bus",
    "train": (
        "locomotive, tram, tramway, caboose, street car, subway, train car, railway car, "
        "railroad car, rail car"
    ),
    "truck": "pickup, lorry, hauler, fire truck, fire engine, pick up truck, semi, truck bed",
    "boat": (
        "ship, sailboat, motorboat, dinghy, powerboat, speedboat, canoe, skiff, yacht, kayak, "
        "catamaran, pontoon, houseboat, vessel, rowboat, row boat, trawler, ferry, ferryboat, "
        "watercraft, tugboat, schooner, barge, sailboard, paddleboat, lifeboat, freighter, "
        "steamboat, riverboat, battleship, steamship, gondola, raft, ocean liner, sail boat"
    ),
    "traffic light": "traffic signal, stop light",
    "fire hydrant": "hydrant",
    "stop sign": "",
    "parking meter": "",
    "bench": "pew",
    "bird": (
        "ostrich, owl, seagull, goose, duck, duckling, parakeet, falcon, robin, pelican, "
        "waterfowl, heron, hummingbird, mallard, finch, pigeon, dove, sparrow, seabird, osprey, "
        "blackbird, fowl, shorebird, woodpecker, egret, chickadee, quail, bluebird, kingfisher, "
        "buzzard, gull, swan, bluejay, blue jay, flamingo, cormorant, parrot, loon, gosling, "
        "waterbird, pheasant, rooster, hen, sandpiper, crow, raven, oriole, cowbird, warbler, "
        "magpie, peacock, cockatiel, lorikeet, puffin, vulture, condor, macaw, peafowl, "
        "cockatoo, songbird, eagle, hawk, penguin, stork, turkey"
    ),
    "cat": "kitten, kitty, feline, tabby",
    "dog": (
        "puppy, pup, doggie, doggy, beagle, chihuahua, schnauzer, dachshund, rottweiler, "
        "canine, pitbull, pit bull, collie, pug, terrier, poodle, labrador, doberman, mutt, "
        "spaniel, bulldog, sheepdog, weimaraner, corgi, cocker, greyhound, retriever, hound, "
        "whippet, husky, dalmatian, toy poodle, german shepherd, guide dog"
    ),
    "horse": (
        "colt, pony, racehorse, stallion, equine, mare, foal, palomino, mustang, clydesdale, "
        "bronc, bronco"
    ),
    "sheep": "lamb, ram, goat, ewe",
    "cow": "cattle, ox, calf, holstein, heifer, buffalo, water buffalo, bull, zebu, bison",
    "elephant": "",
    "bear": "panda, bear cub, polar bear, grizzly",
    "zebra": "",
    "giraffe": "",
    "backpack": "back pack, knapsack, rucksack, book bag",
    "umbrella": "parasol",
    "handbag": "hand bag, bag, purse, wallet, briefcase, pocketbook, tote",
    "tie": "neck tie, bow tie",
    "suitcase": "suit case, luggage, baggage",
    "frisbee": "flying disc, flying disk",
    "skis": "ski",
    "snowboard": "snow board",
    "sports ball": (
        "ball, tennis ball, soccer ball, basket ball, foot ball, base ball, volley ball"
    ),
    "kite": "",
    "baseball bat": "bat",
    "baseball glove": "glove, mitt, catcher's mitt",
    "skateboard": "skate board, longboard",
    "surfboard": (
        "surf board, surfing board, longboard, skimboard, shortboard, wakeboard, bodyboard, "
        "boogie board"
    ),
    "tennis racket": "racket, racquet, tennis racquet",
    "bottle": "",
    "wine glass": "glass, goblet, champagne flute, glass of wine",
    "cup": "mug, tea cup",
    "fork": "",
    "knife": "pocket knife, pen knife",
    "spoon": "tea spoon, table spoon",
    "bowl": "dog bowl, cat bowl",
    "banana": "",
    "apple": "",
    "sandwich": "burger, cheeseburger, hamburger, sub sandwich, submarine sandwich, panini",
    "orange": "",
    "broccoli": "",
    "carrot": "",
    "hot dog": "",
    "pizza": "",
    "donut": "doughnut, bagel",
    "cake": (
        "cheese cake, cup cake, short cake, coffee cake, pan cake, carrot cake, banana cake, "
        "apple cake, orange cake"
    ),
    "chair": "stool, seat, arm chair, high chair",
    "couch": "sofa, recliner, futon, love seat, settee, chesterfield",
    "potted plant": "plant, house plant, pot plant, potted tree, potted flower",
    "bed": "dog bed, bunk bed",
    "dining table": "table, desk, tabletop, coffee table, computer desk",
    "toilet": (
        "urinal, commode, lavatory, potty, toilet seat, toilet bowl, toilet lid, toilet tank"
    ),
    "tv": (
        "television, televison, telly, television set, monitor, screen, computer monitor, "
        "computer screen, flat screen"
    ),
    "laptop": (
        "laptop computer, computer, notebook computer, netbook, macbook, lenovo, apple laptop, "
        "apple computer"
    ),
    "mouse": "computer mouse",
    "remote": "remote control, remote controller, tv remote, television remote, wii remote",
    "keyboard": "computer keyboard",
    "cell phone": (
        "mobile phone, phone, smart phone, telephone, iphone, mobile, flip phone, cell, cellular"
    ),
    "microwave": "microwave oven",
    "oven": "stove top, stove, range oven, stove top oven, pizza oven",
    "toaster": "",
    "sink": "wash basin",
    "refrigerator": "fridge, freezer, refridgerator",
    "book": "",
    "clock": "",
    "vase": "glass vase",
    "scissors": "scissor",
    "teddy bear": (
        "teddy, stuffed animal, stuffed bear, stuffed toy, toy bear, plush bear, plush toy, plushie"
    ),
    "hair drier": "hair dryer, blow drier, blow dryer",
    "toothbrush": "tooth brush",
}
"""Category -> other words that name it, separated by commas."""

BOTH: dict[str, tuple[str, ...]] = {
    "toaster oven": ("toaster", "oven"),
    "glass bottle": ("bottle",),
    "glass bowl": ("bowl",),
    "glass table": ("dining table",),
    "glass cup": ("cup",),
    "baby chair": ("chair",),
}
"""Phrases that name several categories, or another one than their first word."""

ELSEWHERE = (
    "corn dog, prairie dog, dog food, dog house, dog toy, dog park, cat food, cat toy, bird "
    "house, bird bath, bird feeder, bird cage, turkey sandwich, rocking horse, sea horse, saw "
    "horse, horse shoe, koala bear, gummy bear, cow bell, lamb chop, mouse pad, bus stop, bus "
    "station, bus lane, train station, train track, train platform, train yard, train depot, "
    "train rail, boat house, boat dock, jet ski, jet stream, bike rack, bike lane, bike path, "
    "bicycle rack, bicycle lane, exercise bike, cable car, car seat, car park, car wash, "
    "parking lot, baby carriage, baby stroller, baby carrier, baby crib, baby bottle, record "
    "player, dvd player, cd player, media player, music player, video player, pitcher of, cake "
    "batter, pancake batter, screw driver, flower bed, bed room, bed sheet, bed spread, river "
    "bed, bed side, table cloth, table tennis, table lamp, ping pong table, chair lift, ski "
    "lift, toilet paper, toilet brush, tv show, tv stand, tv dinner, television show, "
    "television stand, screen door, screen saver, desktop computer, computer tower, phone "
    "booth, head phone, phone number, phone call, cell tower, book shelf, book case, book "
    "store, book mark, note book, apple pie, apple juice, apple tree, apple logo, big apple, "
    "pine apple, orange juice, orange tree, banana bread, banana split, banana tree, pizza box, "
    "pizza cutter, pizza shop, pizza parlor, pizza restaurant, donut shop, cake stand, bottle "
    "opener, bottle cap, cup holder, world cup, super bowl, fork lift, home plate, magnifying "
    "glass, stained glass, sun glass, reading glass, eye glass, tea bag, paper bag, plastic "
    "bag, garbage bag, trash bag, grocery bag, sleeping bag, bean bag, bag of, oven mitt, oven "
    "glove, rubber glove, boxing glove, winter glove, power plant, plant pot, remote area, "
    "remote location, remote place, remote island, remote village, skate park, tennis court, "
    "tennis match, tennis game, baseball game, baseball field, baseball cap, baseball hat, "
    "baseball uniform, baseball match, street light, snow man, sheep skin, mobile home, bags "
    "of, pitchers of"
)
"""Phrases that hold a word above and name none of its categories; a longer phrase goes first."""

ANIMALS = (
    "bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, lion, tiger, monkey, "
    "deer, fox, rabbit, pig, goat, animal, penguin, panda, seal"
)
"""With these behind it "baby", "male" or "mother" names no person."""
OF_ANIMALS = "baby, adult, male, female, mother, father"
TOYS = "toy, plush, stuffed, miniature"
"""What stands behind these is none of its category: a toy car."""

HEADS_ONLY = (
    "orange, glass, basketball, basket ball, football, foot ball, baseball, base ball, "
    "volleyball, volley ball, ski, remote, mobile, cell, turkey, subway, screen, seat, plant, "
    "bat, coach bus"
)
"""Words that name their object only at the end of its name, not before another noun."""
GAMES = "playing, play, plays, played, watching, of, like"
"""A ball behind these is a game."""
AFTER = (
    "and, or, on, in, at, of, with, to, the, a, an, is, are, was, were, be, being, been, next, "
    "near, beside, behind, under, over, above, below, by, from, for, that, which, who, sits, "
    "sitting, stands, standing, lying, laying, hanging, resting, placed, while, as, it, its, "
    "his, her, their, this, there, has, have, holding, against, inside, into, between, around, "
    "along, slice, slices, segment, segments, half, halves, peel, peels, wedge, wedges, fruit, "
    "fruits, here, but, also, not, nearby, full, filled, flying, about, up, down, out, off, "
    "surrounded, covered, displayed, visible, can, could, will, would, may, might, seems, "
    "appears, looks"
)
"""Words that may follow the end of an object's name."""
COLOURS = (
    "white, black, brown, grey, gray, red, blue, green, yellow, pink, purple, tan, beige, gold, "
    "silver"
)
"""'Orange and white' is a colour."""
