"""Which of the ranked points of a query are returned: a window, a page, groups, diverse ones."""
