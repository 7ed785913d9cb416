"""Data from the network, checked by its digest and unpacked inside its folder."""
