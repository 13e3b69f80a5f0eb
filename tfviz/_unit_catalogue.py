"""What `tfviz methods` lists beside the methods that explain a picture: what is asked of a unit, or of the network."""

# Name (of the command, or of the function in Python), kind, one line, source.
ROWS = (
    (
        "maximize",
        "unit",
        "a picture made from noise to excite a channel, neuron, direction or class",
        "Olah et al. 2017",
    ),
    ("maximize --way maco", "unit", "the same by phases alone, under photographs' magnitudes", "Fel et al. 2023"),
    ("deep_dream", "unit", "a picture of whatever a layer already sees, more of it", "Mordvintsev et al. 2015"),
    ("exciting", "unit", "the pictures of a data set that excite a channel most", "Zeiler and Fergus 2014"),
    ("fields", "network", "how much of the picture one unit of a layer sees", "Araujo et al. 2019"),
    ("channels", "network", "dead, saturated and rarely active channels over a data set", "Lu et al. 2019"),
    ("mistakes", "network", "wrong predictions beside right ones, by what was taken for what", ""),
)
