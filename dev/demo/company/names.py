"""Names of nobody."""

from __future__ import annotations


def _each(names: str) -> tuple[str, ...]:
    return tuple(names.split())


# The two halves of an account's name.
FIRST = _each("""
    Amber Bramble Copper Driftwood Ember Fern Gable Hazel Indigo Juniper Kettle Lantern Maple
    Nettle Otter Pebble Quill Russet Saffron Thistle Umber Velvet Willow Yarrow
""")
SECOND = _each("""
    anvil barrow crest feather fold gate harbor hollow kiln ledger loom mill orchard pillar
    spindle thimble wharf whistle
""")
GIVEN = _each("""
    Abel Aiko Amara Anton Bea Caspar Chidi Clara Dario Delia Eero Elif Emre Esme Farah Femi Gita
    Hugo Ilse Imani Ivo Jada Joris Kaya Kofi Lena Linnea Malik Marta Milo Nadia Niko Noor Olga
    Otis Paloma Petra Quinn Rafi Rosa Ruben Samir Signe Silas Tamsin Theo Uma Vera Wanda Yusuf
    Zadie
""")
FAMILY = _each("""
    Ashcombe Bellweather Bramwick Brackenridge Cloverley Cobblestone Crumblehulme Dapplewood
    Dunmarrow Elderfield Fairbrook Featherstow Foxglover Gorsefield Greenhythe Hartswell
    Hollowby Inkpenny Kestrelby Larkhill Longbarrow Merrydown Mossbury Nightingrove Oatley
    Pepperwell Pikestaff Quarrington Rookhurst Sallowfield Sedgewater Silverlock Stonepath
    Tanglewick Thrushcross Underhay Vantongeren Wayfarrow Whinberry Yewcroft
""")
