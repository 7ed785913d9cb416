"""The experiments that come with the package; `common` has every setting once, and yours starts from it."""
