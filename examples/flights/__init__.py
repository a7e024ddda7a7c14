"""The worked example, as a user would write it: will a flight out of New York in 2013 arrive late?"""
