"""The libraries beside which tfviz is measured, one module each; none of them is needed by anything else.

`items(net)` are the rows of the table, by the library's own door, with everything prepared that it lets prepare;
`answers(net)` the same numbers with the library's normalising and resizing undone, for the tests of agreement.
"""
