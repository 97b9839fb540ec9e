"""Does accuracy change by as much as the move between strategies of different accuracy must give?"""
